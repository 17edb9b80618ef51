// The current tab of a row of tabs that does not fit is scrolled into view.

function reveal() {
  for (const current of document.querySelectorAll(":is(.tabs, .output-tabs) [aria-current]")) {
    const row = current.parentElement;
    const [tab, view] = [current.getBoundingClientRect(), row.getBoundingClientRect()];
    if (tab.left < view.left) row.scrollLeft += tab.left - view.left - 24;
    else if (tab.right > view.right) row.scrollLeft += tab.right - view.right + 24;
  }
}

document.fonts.ready.then(reveal); // which change the tabs' widths
document.addEventListener("cronium:tab", reveal);
