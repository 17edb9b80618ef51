// Links with data-dialog open their page's #dialog part over this page.

let dialog;

document.addEventListener("click", async (event) => {
  const link = event.target.closest?.("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (!dialog) {
    dialog = document.createElement("dialog");
    dialog.className = "dialog";
    document.body.append(dialog);
    dialog.addEventListener("click", (click) => {
      if (click.target === dialog || click.target.closest("[data-close]")) dialog.close();
    });
  }
  await window.htmx.ajax("GET", link.href, { source: link, target: dialog, swap: "innerHTML", select: "#dialog" });
  dialog.setAttribute("aria-label", dialog.querySelector("h1, h2")?.textContent ?? link.textContent);
  dialog.showModal();
});
