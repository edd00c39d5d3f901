/** All cases, in the order in which they run. */
import type { Case } from "../case.ts";
import { buffers } from "./buffers.ts";
import { calling } from "./calling.ts";
import { cancelling } from "./cancelling.ts";
import { closing } from "./closing.ts";
import { concurrency } from "./concurrency.ts";
import { contexts } from "./contexts.ts";
import { draining } from "./draining.ts";
import { errors } from "./errors.ts";
import { functions } from "./functions.ts";
import { gathering } from "./gathering.ts";
import { handles } from "./handles.ts";
import { isolation } from "./isolation.ts";
import { holding } from "./holding.ts";
import { inheritance } from "./inheritance.ts";
import { inline } from "./inline.ts";
import { limits } from "./limits.ts";
import { listening } from "./listening.ts";
import { losses } from "./losses.ts";
import { mapping } from "./mapping.ts";
import { mappingLosses } from "./mapping-losses.ts";
import { mappingOptions } from "./mapping-options.ts";
import { mappingValues } from "./mapping-values.ts";
import { keptHandles } from "./kept-handles.ts";
import { nesting } from "./nesting.ts";
import { numbering } from "./numbering.ts";
import { opening } from "./opening.ts";
import { pinning } from "./pinning.ts";
import { pools } from "./pools.ts";
import { priorities } from "./priorities.ts";
import { reentering } from "./reentering.ts";
import { reporting } from "./reporting.ts";
import { retrying } from "./retrying.ts";
import { sharing } from "./sharing.ts";
import { timeouts } from "./timeouts.ts";
import { tracing } from "./tracing.ts";
import { values } from "./values.ts";
import { waitingForAll } from "./waiting-for-all.ts";
import { watching } from "./watching.ts";

export const CASES: readonly Case[] = [
  opening,
  calling,
  functions,
  values,
  buffers,
  sharing,
  errors,
  timeouts,
  priorities,
  pinning,
  cancelling,
  handles,
  gathering,
  contexts,
  concurrency,
  losses,
  retrying,
  holding,
  isolation,
  limits,
  waitingForAll,
  watching,
  reporting,
  listening,
  tracing,
  reentering,
  mapping,
  mappingOptions,
  mappingValues,
  mappingLosses,
  nesting,
  keptHandles,
  numbering,
  draining,
  inheritance,
  inline,
  pools,
  closing,
].flatMap(({ cases }) => cases);

/** For pools of ranks and processes: what only one of the two kinds is asked for is not for them. */
export const MIXED_CASES = CASES.filter(({ processes }) => processes === undefined);
