/**
 * Small changes at any place of a JSON value, for tests that ask what a reader makes of them. The value itself is never
 * changed; where the place is gone, a copy comes back as it was.
 */

type Holder = Record<string, unknown>;

/** The way to a place, from the root. */
export type Path = readonly string[];

/** Every place in a JSON value, the root first. */
export function pathsOf(value: unknown, path: Path = []): Path[] {
  if (typeof value !== "object" || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, entry]) => pathsOf(entry, [...path, key]))];
}

/** The value with another one at a place, which need not be there before. */
export function replaced(value: unknown, path: Path, by: unknown): unknown {
  return changed(value, path, (holder, key) => put(holder, key, by));
}

/** The value without what stands at a place. */
export function dropped(value: unknown, path: Path): unknown {
  return changed(value, path, (holder, key) => {
    if (Array.isArray(holder)) holder.splice(Number(key), 1);
    else delete holder[key];
  });
}

/** The value with what stands at a place under another name beside it; in a list it is there twice. */
export function renamed(value: unknown, path: Path, name: string): unknown {
  return changed(value, path, (holder, key) => {
    const entry = holder[key];
    if (!Array.isArray(holder)) delete holder[key];
    put(holder, name, entry);
  });
}

function changed(value: unknown, path: Path, change: (holder: Holder, key: string) => void): unknown {
  const root: Holder = { root: structuredClone(value) };
  const way = ["root", ...path];
  let holder = root;
  for (const key of way.slice(0, -1)) {
    const next = Object.hasOwn(holder, key) ? holder[key] : undefined;
    if (typeof next !== "object" || next === null) return root.root;
    holder = next as Holder;
  }
  change(holder, way.at(-1)!);
  return root.root;
}

/** As JSON has it: `__proto__` is a key like others, and a list has places alone. */
function put(holder: Holder, key: string, value: unknown): void {
  if (Array.isArray(holder) && !/^\d+$/.test(key)) return void holder.push(value);
  if (Array.isArray(holder) && Number(key) >= holder.length) return void holder.push(value);
  Object.defineProperty(holder, key, { value, enumerable: true, configurable: true, writable: true });
}
