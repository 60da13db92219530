/** Ends one request: no code when it went well; else a code of SubtenError or `HTTP 500`, and a sentence. */
export type Done = (code?: string, detail?: string) => void

/** Sends requests to one target. */
export interface Caller {
  /** Sends input number `input` and calls `done` once; never throws. */
  send(input: number, done: Done): void
  /** How many inputs there are to choose from. */
  readonly inputs: number
  close(): Promise<void>
}

/** Queries of several samples, which are sent at once; a query ends with its last sample. */
export function grouped(caller: Caller, samples: number): Caller {
  return {
    inputs: caller.inputs,
    close: () => caller.close(),
    send(input, done) {
      let open = samples
      let code: string | undefined
      let detail: string | undefined
      const ended: Done = (failed, why) => {
        if (failed !== undefined && code === undefined) {
          code = failed
          detail = why
        }
        if (--open === 0) done(code, detail)
      }
      for (let i = 0; i < samples; i++) caller.send((input + i) % caller.inputs, ended)
    },
  }
}
