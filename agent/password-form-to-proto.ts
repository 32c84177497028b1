import { type PasswordForm, passwordForms } from "../ipmi/password-form.ts";
import { PasswordForm as ProtoForm } from "../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

const protoForms: Readonly<Record<PasswordForm["name"], ProtoForm>> = {
  sixteen: ProtoForm.PASSWORD_FORM_SIXTEEN,
  "sixteen in twenty": ProtoForm.PASSWORD_FORM_SIXTEEN_IN_TWENTY,
  twenty: ProtoForm.PASSWORD_FORM_TWENTY,
  "other specials": ProtoForm.PASSWORD_FORM_OTHER_SPECIALS,
  "letters and digits": ProtoForm.PASSWORD_FORM_LETTERS_AND_DIGITS,
};

/** The form of a password as the contract names it. */
export function formToProto({ name }: PasswordForm): ProtoForm {
  return protoForms[name];
}

/** Undefined for none, and for one that a newer service knows. */
export function formFromProto(form: ProtoForm): PasswordForm | undefined {
  return passwordForms.find(({ name }) => protoForms[name] === form);
}
