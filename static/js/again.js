// A page whose scripts did not all load is loaded once more. Browsers drop what
// they are loading when a network of the machine comes or goes, and on the
// machine where containers start that is often.
addEventListener("error", ({ target }) => {
  if (!(target instanceof HTMLScriptElement) || Date.now() - sessionStorage.getItem("loaded-again") < 5000) return;
  sessionStorage.setItem("loaded-again", Date.now());
  location.reload();
}, true);
