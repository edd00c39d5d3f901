/**
 * Listeners of this process that the program does not see. Programs count listeners: a reporter
 * ends the process if its own handler is the only one, a library passes a signal on to nobody else;
 * and they remove all listeners there are. These do not show in what `process` tells of its
 * listeners, and stay when all are removed.
 *
 * The engine still counts them. Some events act differently once anybody listens (signals,
 * `uncaughtException`, `unhandledRejection`): the caller has to allow for that.
 */

type Event = string | symbol;
type Listener = (...args: never[]) => unknown;

/** The used part of an emitter, for any event. */
interface Emitter {
  on(event: Event, listener: Listener): unknown;
  prependListener(event: Event, listener: Listener): unknown;
  emit(event: Event, ...args: unknown[]): boolean;
  off(event: Event, listener: Listener): unknown;
  removeAllListeners(event?: Event): unknown;
  listeners(event: Event): Listener[];
  rawListeners(event: Event): Listener[];
  listenerCount(event: Event, listener?: Listener): number;
  eventNames(): Event[];
}

const target = process as unknown as Emitter;
/** The engine's own functions: a program may wrap them. */
const { on, prependListener, off, removeAllListeners } = target;
const { emit, listeners, rawListeners, listenerCount, eventNames } = target;

const unseen = new Map<Event, Set<Listener>>();
/** Listeners that are called before all others. */
const first = new WeakSet<Listener>();
let isHiding = false;

/**
 * `isFirst`: called before all others, also before those of `once`, which are removed after one
 * call.
 */
export function listenUnseen(event: Event, listener: Listener, isFirst = false): void {
  hide();
  const all = unseen.get(event) ?? new Set();
  unseen.set(event, all.add(listener));
  if (isFirst) first.add(listener);
  add(event, listener);
}

export function endUnseen(event: Event, listener: Listener): void {
  unseen.get(event)?.delete(listener);
  off.call(target, event, listener);
}

/** Removes all listeners, the program's and bsync's. */
export function forgetAll(event: Event): void {
  unseen.delete(event);
  removeAllListeners.call(target, event);
}

/** The number of all listeners. */
export function countAll(event: Event): number {
  return listenerCount.call(target, event);
}

/** The number of the program's own listeners. */
export function countSeen(event: Event): number {
  return seen(event, rawListeners.call(target, event)).length;
}

function add(event: Event, listener: Listener): void {
  (first.has(listener) ? prependListener : on).call(target, event, listener);
}

function seen(event: Event, all: Listener[]): Listener[] {
  const ours = unseen.get(event);
  return ours === undefined ? all : all.filter((listener) => !ours.has(listener));
}

/** A program's prepended listener is the first among its own. */
function addFirst(event: Event, action: () => void): void {
  const before = [...(unseen.get(event) ?? [])].filter((listener) => first.has(listener));
  for (const listener of before) off.call(target, event, listener);
  action();
  for (const listener of before) add(event, listener);
}

/** Hides bsync's listeners from the program. */
function hide(): void {
  if (isHiding) return;
  isHiding = true;
  const { prependOnceListener } = process as unknown as {
    prependOnceListener: Emitter["prependListener"];
  };
  const told = {
    listeners: (event: Event) => seen(event, listeners.call(target, event)),
    rawListeners: (event: Event) => seen(event, rawListeners.call(target, event)),
    listenerCount: (event: Event, listener?: Listener) =>
      listener === undefined
        ? countSeen(event)
        : seen(event, listeners.call(target, event)).filter((one) => one === listener).length,
    eventNames: () => eventNames.call(target).filter((event) => countSeen(event) > 0),
    removeAllListeners(...events: [event?: Event]) {
      removeAllListeners.apply(target, events);
      const [name] = events;
      for (const [event, ours] of unseen) {
        if (name === undefined || name === event) for (const listener of ours) add(event, listener);
      }
      return process;
    },
    // Libraries with their own promises emit this, and check whether anybody heard it.
    emit(event: Event, ...args: unknown[]) {
      const ours = event === "unhandledRejection" ? [...(unseen.get(event) ?? [])] : [];
      for (const listener of ours) off.call(target, event, listener);
      try {
        return emit.call(target, event, ...args);
      } finally {
        for (const listener of ours) add(event, listener);
      }
    },
    prependListener(event: Event, listener: Listener) {
      addFirst(event, () => prependListener.call(target, event, listener));
      return process;
    },
    prependOnceListener(event: Event, listener: Listener) {
      addFirst(event, () => prependOnceListener.call(target, event, listener));
      return process;
    },
  };
  for (const [name, value] of Object.entries(told)) {
    Object.defineProperty(process, name, {
      value,
      writable: true,
      configurable: true,
      enumerable: false,
    });
  }
}
