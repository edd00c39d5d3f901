/** The other end of `ipc.ts`: sends back whatever comes. */
process.on("message", (message: unknown) => process.send!(message));
