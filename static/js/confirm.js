// What destroys something asks first: data-confirm on a button holds what will
// be destroyed. Menus close when something else is clicked, or on Escape.

let dialog;

function ask(button) {
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.className = "dialog";
    dialog.setAttribute("aria-labelledby", "confirm-text");
    const form = document.createElement("form");
    form.method = "dialog";
    form.className = "body stack";
    const text = document.createElement("p");
    text.id = "confirm-text";
    const actions = document.createElement("div");
    actions.className = "actions";
    const yes = Object.assign(document.createElement("button"), { className: "btn danger", value: "yes" });
    const no = Object.assign(document.createElement("button"), { className: "btn", value: "", textContent: "Keep everything as it is" });
    actions.append(yes, no);
    form.append(text, actions);
    dialog.append(form);
    document.body.append(dialog);
  }
  dialog.querySelector("p").textContent = button.dataset.confirm;
  dialog.querySelector("button").textContent = button.textContent.trim() || "Yes";
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue !== "yes") return;
    button.confirmed = true;
    button.click();
    button.confirmed = false;
  };
  dialog.showModal();
  dialog.querySelectorAll("button")[1].focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-confirm]");
  if (button && !button.confirmed) {
    event.preventDefault();
    event.stopPropagation();
    ask(button);
  }
}, true);

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
