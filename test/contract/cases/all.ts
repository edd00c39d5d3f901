/** All cases, in the order in which they run. */
import type { Case } from "../case.ts";
import { calling } from "./calling.ts";
import { errors } from "./errors.ts";
import { functions } from "./functions.ts";

export const CASES: readonly Case[] = [calling, functions, errors].flatMap(({ cases }) => cases);
