// Added to pages by `harness preview`, never published: loads a page again when it was built again, and shows
// the problems of the last build.
(() => {
  const query = new URLSearchParams({ page: location.pathname, version: document.currentScript.dataset.version });
  const board = document.createElement("pre");
  board.setAttribute("role", "status");
  Object.assign(board.style, {
    position: "fixed", inset: "auto 0 0 0", zIndex: 9, margin: 0, padding: "1rem 1.4rem", maxHeight: "45vh",
    overflow: "auto", whiteSpace: "pre-wrap", color: "#fff", background: "#7d1d12", borderRadius: 0,
  });
  const again = () => {
    // Not while somebody reads a tooltip or the curve at full size.
    if (document.querySelector(":popover-open")) setTimeout(again, 500);
    else location.reload();
  };
  new EventSource("/.preview/news?" + query).onmessage = (event) => {
    const { stale, problems } = JSON.parse(event.data);
    if (stale) return again();
    board.textContent = problems.join("\n");
    if (problems.length) document.body.append(board);
    else board.remove();
  };
})();
