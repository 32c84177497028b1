import { type PasswordForm, passwordForms } from "../../ipmi/password-form.ts";
import { PasswordForm as ProtoForm } from "../../proto/gen/metalstack/bmc/v1/enrolment_service.ts";

/** The forms of the contract, in the order of `passwordForms`. */
const protoForms: Readonly<Record<PasswordForm["name"], ProtoForm>> = {
  sixteen: ProtoForm.PASSWORD_FORM_SIXTEEN,
  "sixteen in twenty": ProtoForm.PASSWORD_FORM_SIXTEEN_IN_TWENTY,
  twenty: ProtoForm.PASSWORD_FORM_TWENTY,
  "other specials": ProtoForm.PASSWORD_FORM_OTHER_SPECIALS,
  "letters and digits": ProtoForm.PASSWORD_FORM_LETTERS_AND_DIGITS,
};

/** As it is stored. */
export function storedForm({ name }: PasswordForm): ProtoForm {
  return protoForms[name];
}

/** Undefined if none is known. */
export function formOf(stored: ProtoForm | undefined): PasswordForm | undefined {
  return passwordForms.find(({ name }) => protoForms[name] === stored);
}
