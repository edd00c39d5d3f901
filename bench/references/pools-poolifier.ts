/** What poolifier calls: a worker that is made of a function, and exported. */
const name = "poolifier";
const { ThreadWorker } = (await import(name)) as {
  ThreadWorker: new (call: (x?: number) => number | undefined) => object;
};
export default new ThreadWorker((x) => x);
