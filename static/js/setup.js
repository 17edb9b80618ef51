// The addresses of the first run and of password links carry their code behind
// #, which browsers do not send. It goes into the field and out of the address.

const code = new URLSearchParams(location.hash.slice(1)).get("code");
const field = document.querySelector("input[name=code], input[name=link_code]");
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
  document.querySelector("input[name=name], input[name=password]").focus();
}
