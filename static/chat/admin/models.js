// @ts-check
// The list of a provider's models: shows only those whose names hold what is written above it.

const filter = /** @type {HTMLInputElement | null} */ (document.getElementById("filter"));
if (filter !== null) {
  if (filter.parentElement !== null) filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    /** @type {NodeListOf<HTMLInputElement>} */
    const boxes = document.querySelectorAll(".offer__models [name=offer]");
    for (const box of boxes) {
      const row = box.closest("tr");
      if (row !== null) row.hidden = !box.value.toLowerCase().includes(wanted);
    }
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would offer what is ticked so far
  });
}
