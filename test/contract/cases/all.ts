/** All cases, in the order in which they run. */
import type { Case } from "../case.ts";
import { calling } from "./calling.ts";

export const CASES: readonly Case[] = [calling].flatMap(({ cases }) => cases);
