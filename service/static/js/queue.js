// Keys for the officer's queue: j and k move, o or Enter opens, x ticks, / searches.

const TYPING = "input:not([type=checkbox]), textarea, select, [contenteditable]";

/** Give each work queue below `root` its keys. */
export function startQueues(root) {
  const links = () => [...root.querySelectorAll("[data-canting-queue] th[scope=row] a")];
  if (!root.querySelector("[data-canting-queue]")) return;

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.(TYPING)) return;
    const rows = links();
    const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const target = {
      j: rows[Math.min(at + 1, rows.length - 1)],
      k: rows[Math.max(at - 1, 0)],
      "/": root.querySelector("[data-canting-search]"),
    }[event.key];
    if (target) {
      event.preventDefault();
      target.focus();
      target.scrollIntoView({ block: "nearest" });
    } else if (event.key === "o" && at >= 0) {
      rows[at].click();
    } else if (event.key === "x" && at >= 0) {
      rows[at].closest("tr").querySelector("input[type=checkbox]")?.click();
    }
  });
}
