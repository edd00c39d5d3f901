/** What workerpool calls: functions that are registered under their names. */
const name = "workerpool";
const { worker } = (await import(name)) as { worker: (methods: object) => void };
worker({ same: (x: number) => x });
