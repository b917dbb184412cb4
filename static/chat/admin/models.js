// The list of a provider's models: shows only those whose names hold what is written above it.

const filter = document.getElementById("filter");
if (filter !== null) {
  filter.parentElement.hidden = false;
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    for (const box of document.querySelectorAll(".offer__models [name=offer]")) {
      box.closest("tr").hidden = !box.value.toLowerCase().includes(wanted);
    }
  });
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault(); // it would offer what is ticked so far
  });
}
