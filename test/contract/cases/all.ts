/** All cases, in the order in which they run. */
import type { Case } from "../case.ts";
import { calling } from "./calling.ts";
import { errors } from "./errors.ts";
import { functions } from "./functions.ts";
import { opening } from "./opening.ts";
import { priorities } from "./priorities.ts";
import { timeouts } from "./timeouts.ts";
import { values } from "./values.ts";

export const CASES: readonly Case[] = [
  opening,
  calling,
  functions,
  values,
  errors,
  priorities,
  timeouts,
].flatMap(({ cases }) => cases);
