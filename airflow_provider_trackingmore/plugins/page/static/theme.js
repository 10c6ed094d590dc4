// Light or dark: like Airflow's UI if this page is inside it, otherwise like the system.

function themeOfAirflow() {
  try {
    if (window.parent === window) return null;
    const { classList, dataset } = window.parent.document.documentElement;
    return ["dark", "light"].find((theme) => classList.contains(theme) || dataset.theme === theme) ?? null;
  } catch {
    return null; // framed by another site
  }
}

/** Apply the theme, and keep it in sync with Airflow. */
export function followTheme() {
  const apply = () => {
    const theme = themeOfAirflow();
    if (theme) document.documentElement.dataset.theme = theme;
    else delete document.documentElement.dataset.theme;
  };
  apply();
  if (document.documentElement.dataset.theme) {
    const changes = new MutationObserver(apply);
    changes.observe(window.parent.document.documentElement, { attributeFilter: ["class", "data-theme"] });
  }
}
