// As texts they are part of a bundle, too.
import html from "./page.html" with { type: "text" };
import css from "./page.css.txt" with { type: "text" };
import js from "./page.js.txt" with { type: "text" };

/** The files of the live page. */
export const HTML = html as unknown as string;
export const CSS = css as unknown as string;
export const JS = js as unknown as string;
