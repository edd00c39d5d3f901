// As texts they are part of a bundle, too.
import html from "./page.html" with { type: "text" };
import css from "./page.css.txt" with { type: "text" };
import page from "./page.js.txt" with { type: "text" };
import text from "./text.js.txt" with { type: "text" };
import drawing from "./drawing.js.txt" with { type: "text" };
import lanes from "./lanes.js.txt" with { type: "text" };
import lists from "./lists.js.txt" with { type: "text" };

const SCRIPT = "text/javascript";

/** The files of the live page, by path: the type of each, and its text. */
export const FILES: Readonly<Record<string, readonly [type: string, text: string]>> = {
  "/": ["text/html", html as unknown as string],
  "/page.css": ["text/css", css as unknown as string],
  "/page.js": [SCRIPT, page as unknown as string],
  "/text.js": [SCRIPT, text as unknown as string],
  "/drawing.js": [SCRIPT, drawing as unknown as string],
  "/lanes.js": [SCRIPT, lanes as unknown as string],
  "/lists.js": [SCRIPT, lists as unknown as string],
};
