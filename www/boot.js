// Runs before anything is painted, in any browser: sets the chosen theme, and says so where Starling cannot run.
(function () {
  var root = document.documentElement;
  root.setAttribute("data-script", "");
  try {
    var theme = window.localStorage.getItem("starling.theme");
    if (theme === "light" || theme === "dark") root.setAttribute("data-theme", theme);
  } catch (_) {
    root.setAttribute("data-unsupported", "storage");
  }
  var able =
    typeof WebAssembly === "object" &&
    typeof Promise === "function" &&
    typeof BigInt === "function" &&
    "indexedDB" in window &&
    "Worker" in window &&
    "noModule" in document.createElement("script");
  if (!able) root.setAttribute("data-unsupported", "features");
})();
