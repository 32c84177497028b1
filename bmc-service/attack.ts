/**
 * What a refused call or connection looks like, as the field `attack` of its log line and the label of its metric. Most are
 * mistakes; many of one kind, or from one address, are not.
 */
export type Attack =
  /** A session token with another certificate than the one it was given for. */
  | "stolen session token"
  /** A session token that nobody has, or whose time is over. */
  | "unknown session token"
  /** An enrolment token that opens nothing. */
  | "enrolment token"
  /** A certificate of one machine, or for one enrolment, that is used for another. */
  | "certificate of another machine"
  /** A call that the caller's role does not allow. */
  | "role"
  /** A second enrolment of a machine by somebody else. */
  | "second enrolment"
  /** A BMC that does not let its account in: it may be another one, or somebody has changed the password. */
  | "refused login"
  /** A BMC with another MAC address or GUID than the linked one. */
  | "another BMC"
  /** A BMC that is said to be where the service does not go. */
  | "address"
  /** A claim that contradicts a proved linkage. */
  | "claim"
  /** A client certificate that does not hold. */
  | "client certificate"
  /** Another protocol than TLS 1.3. */
  | "no TLS"
  /** A call whose request is too large, cannot be read or never comes to its end. */
  | "unreadable request"
  /** A call of somebody who has shown no certificate, refused before it was known what they want. */
  | "stranger"
  /** A connection that ended without any call. */
  | "connection without call"
  /** More than one caller may have or do in a minute. */
  | "flood";
