/**
 * Where do these addresses lead, asking two at a time? After the first example of p-map.
 *
 *   bun run examples/ports/p-map.ts https://bun.sh https://www.mpi-forum.org
 *   mpirun -n 2 bun run examples/ports/p-map.ts https://bun.sh
 *
 * What it was, and what became of it:
 *
 *   pMap(sites, mapper, { concurrency: 2 })    pool.map(mapper, sites), of a pool opened with
 *                                              { concurrency: 2 }: two a worker
 *   a promise among the sites                  the same: it is awaited
 *   got.head(site)                             fetch, with the signal of the task: a map that is
 *                                              left ends what it has asked
 *   pMapSkip, stopOnError: false               settled: true, and a look at each `status`
 *   mapper may be a closure                    a function of the module: it runs elsewhere
 *
 * For a few downloads p-map is enough. A pool is for what is done with them.
 */
import { AsyncPool, taskContext } from "../../index.ts";

/** The address in the end, after all redirections. */
async function follow(site: string): Promise<string> {
  const response = await fetch(site, { method: "HEAD", signal: taskContext().signal });
  return response.url;
}

await using pool = await AsyncPool.open(1, { concurrency: 2 });
const given = process.argv.slice(2);

// Without arguments a server of this program is asked, which knows the new address of everything.
using server = Bun.serve({
  port: 0,
  fetch: ({ url }) => (url.endsWith("/new") ? new Response() : Response.redirect(`${url}/new`)),
});
const own = ["news", "mail", "maps"].map((name) => new URL(name, server.url).href);
const first = Promise.resolve(own[0]!); // an address that has to be found out
const sites = given.length > 0 ? given : [first, ...own.slice(1)];
console.log((await pool.map(follow, sites)).join("\n"));
