// Client-side routing: each path is a page, and clicks on plain `<a href>` links are intercepted.

import { useEffect, useState } from "preact/hooks";

export function navigate(path: string) {
  history.pushState(null, "", path);
  window.scrollTo(0, 0);
  window.dispatchEvent(new Event("navigated"));
}

/** The current URL. */
export function useLocation(): URL {
  const [href, setHref] = useState(location.href);
  useEffect(() => {
    const update = () => setHref(location.href);
    window.addEventListener("popstate", update);
    window.addEventListener("navigated", update);
    document.addEventListener("click", follow);
    return () => {
      window.removeEventListener("popstate", update);
      window.removeEventListener("navigated", update);
      document.removeEventListener("click", follow);
    };
  }, []);
  return new URL(href);
}

function follow(event: MouseEvent) {
  const plain =
    event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  const link = (event.target as Element).closest?.("a");
  if (!plain || !link || event.defaultPrevented) return;
  const outside = link.origin !== location.origin || link.target || link.hasAttribute("download");
  if (outside || link.pathname.startsWith("/api/") || link.hash) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}
