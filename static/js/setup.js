// The first-run address carries its code behind #, which browsers do not send.
// It goes into the field and out of the address.

const code = new URLSearchParams(location.hash.slice(1)).get("code");
const field = document.querySelector("input[name=code]");
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
  document.querySelector("input[name=name]").focus();
}
