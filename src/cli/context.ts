import { tritonFiles } from '../load/triton-files.js'
import type { CudaInfo } from '../runtime/system.js'
import type { LoadOptions, Model } from '../runtime/types.js'

/** What `systemInfo()` of the runtime tells. */
export interface SystemInfo {
  readonly addon: { readonly path: string; readonly version: string }
  readonly engines: readonly EngineInfo[]
  readonly cpus: {
    readonly online: number
    readonly affinity: number
    readonly quota?: number | null
    readonly used: number
  }
  /** Absent where the addon cannot ask. */
  readonly cuda?: CudaInfo
}

export interface EngineInfo {
  readonly name: string
  readonly available: boolean
  readonly version?: string
  readonly library?: string
  readonly error?: string
}

/** What commands act on: the terminal and the runtime. Tests give their own. */
export interface Context {
  /** Results. */
  out(text: string): void
  /** Progress and errors. */
  err(text: string): void
  /** A line that stands in place of the last one, where a person watches; '' takes it away. */
  progress?(line: string): void
  readStdin(): Promise<Buffer>
  load(path: string, options?: LoadOptions): Promise<Model>
  systemInfo(): Promise<SystemInfo>
  /** Another command line than that of this package, for what is measured in processes of their own. */
  readonly program?: string
}

/** The real terminal, and the runtime loaded on first use: `explain` and `doctor` work where the addon does not. */
export const processContext: Context = {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
  progress: (line) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line.slice(0, process.stderr.columns - 1)}`)
  },
  async readStdin() {
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  },
  async load(path, options) {
    const runtime = await import('../index.js')
    return runtime.load(path, options)
  },
  async systemInfo() {
    const { systemInfo } = await import('../runtime/system.js')
    const triton = tritonFiles().files?.library
    return systemInfo(triton === undefined ? {} : { triton })
  },
}
