// The first-run page: the server prints its address with the code behind a #,
// which is never sent. This puts the code into the form and takes it out of the
// address, so that it stays neither in the history nor in a copied link.

const field = document.getElementById("f-code");
const code = new URLSearchParams(location.hash.slice(1)).get("code");

if (code && field) {
  if (!field.value) {
    field.value = code;
    document.getElementById("f-name")?.focus();
  }
  history.replaceState(null, "", location.pathname);
}
