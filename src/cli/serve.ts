import { type Command, Option } from 'commander'
import { oneThreadAPicture } from '../image/with-sharp.js'
import type { LocatedModel } from '../repository/repository.js'
import type { LoadOptions } from '../runtime/types.js'
import { DEFAULT_LIMITS, type ServerLimits } from '../server/limits.js'
import { ModelHost } from '../server/model-host.js'
import { type Load, repositorySources } from '../server/repository-sources.js'
import { createServer, type Server } from '../server/server.js'
import { latencyTarget } from '../sla/latency-target.js'
import type { SlaMonitor } from '../sla/monitor.js'
import { promiseOf } from '../sla/promise.js'
import type { Contract } from '../sla/types.js'
import type { Context } from './context.js'
import { exampleRequest } from './example-request.js'
import { FAILED, OK } from './exit-codes.js'
import { positiveNumber, wholeNumber } from './option-values.js'
import { UsageError } from './report.js'

interface ServeFlags {
  host: string
  httpPort: number
  models: string
  logLevel: string
  maxBody: number
  maxImage: number
  maxPixels: number
  requestTimeout: number
  stopTimeout: number
  sla?: string
  slaState?: string
  slo?: 'contract'
  json?: boolean
}

const MIB = 1024 * 1024

export function addServe(program: Command, context: Context): void {
  const levels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']
  program
    .command('serve')
    .description('serve every model of a repository over HTTP')
    .option('--host <address>', 'address to listen on', '127.0.0.1')
    .option('--http-port <port>', 'port to listen on; 0 takes a free one', wholeNumber(0, 65535), 8000)
    .option('--models <dir>', 'the model repository', './models')
    .addOption(new Option('--log-level <level>', 'what is logged to standard error').choices(levels).default('warn'))
    .option('--max-body <MiB>', 'largest inference request', positiveNumber, DEFAULT_LIMITS.bodyBytes / MIB)
    .option('--max-image <MiB>', 'largest picture file', positiveNumber, DEFAULT_LIMITS.imageBytes / MIB)
    .option(
      '--max-pixels <millions>',
      'largest picture, width times height',
      positiveNumber,
      DEFAULT_LIMITS.imagePixels / 1e6,
    )
    .option(
      '--request-timeout <s>',
      'until a request must have arrived',
      positiveNumber,
      DEFAULT_LIMITS.requestTimeoutMs / 1000,
    )
    .option(
      '--stop-timeout <s>',
      'how long a stop waits for requests',
      positiveNumber,
      DEFAULT_LIMITS.stopTimeoutMs / 1000,
    )
    .option('--sla <file>', 'the SLA contract that models are measured against')
    .option('--sla-state <file>', 'where what was measured survives a restart; needs --sla')
    .addOption(
      new Option('--slo <source>', 'schedule models by the latency that the contract promises; needs --sla').choices([
        'contract',
      ]),
    )
    .option('--json', 'print the address and the models as JSON')
    .action(async (flags: ServeFlags, command: Command) => {
      command.setOptionValue('exitCode', await serve(context, flags))
    })
}

async function serve(context: Context, flags: ServeFlags): Promise<number> {
  await oneThreadAPicture()
  const measuring = await monitorOf(context, flags)
  const sla = measuring?.monitor
  const load: Load = async (path, options, located) => {
    const promised = flags.slo === undefined || measuring === undefined ? {} : sloFrom(measuring.contract, located)
    const model = await context.load(path, { ...options, ...promised })
    sla?.attach(model)
    return model
  }
  // Models take seconds to load: not before the port is ours.
  let listening = (_address: Promise<string>): void => {}
  const opened = new Promise<string>((resolve) => {
    listening = resolve
  })
  const models = new ModelHost(await repositorySources(flags.models, load), opened)
  const logger = { level: flags.logLevel, stream: { write: (line: string) => context.err(line.trimEnd()) } }
  const server = await createServer({ models, limits: limitsOf(flags), logger, sla })
  const stopped = stopOnSignal(context, server)
  listening(server.listen({ host: flags.host, port: flags.httpPort }))
  const address = await opened.catch(async (error) => {
    await server.stop()
    throw listenError(error, flags)
  })
  context.err('loading models')
  await models.settled()
  if (flags.json) context.out(JSON.stringify({ address, models: models.index() }))
  else context.out(welcome(address, models, sla))
  return (await stopped) ? OK : FAILED
}

function limitsOf(flags: ServeFlags): Partial<ServerLimits> {
  return {
    bodyBytes: Math.round(flags.maxBody * MIB),
    imageBytes: Math.round(flags.maxImage * MIB),
    imagePixels: Math.round(flags.maxPixels * 1e6),
    requestTimeoutMs: Math.round(flags.requestTimeout * 1000),
    stopTimeoutMs: Math.round(flags.stopTimeout * 1000),
  }
}

/** What the contract promises, for models that have no `subten.slo` of their own; others go without. */
function sloFrom(contract: Contract, { name, document }: LocatedModel): LoadOptions {
  const p99Ms = latencyTarget(contract, name)
  return p99Ms === undefined || document.fields.parameters?.['subten.slo'] ? {} : { slo: { p99Ms } }
}

/** Reads the contract before anything is loaded: one that is wrong is told at once. */
async function monitorOf(
  context: Context,
  { sla, slaState, slo }: ServeFlags,
): Promise<{ monitor: SlaMonitor; contract: Contract } | undefined> {
  if (sla === undefined) {
    if (slo !== undefined) throw new UsageError('--slo contract needs --sla: there is no contract')
    if (slaState !== undefined) throw new UsageError('--sla-state needs --sla: there is nothing to measure')
    return undefined
  }
  const [{ readContract }, { SlaMonitor }] = await Promise.all([
    import('../sla/contract.js'),
    import('../sla/monitor.js'),
  ])
  const warn = (message: string): void => context.err(`warning: ${message}`)
  const contract = await readContract(sla)
  return { monitor: await SlaMonitor.open(contract, { stateFile: slaState, warn }), contract }
}

/** Objectives with what they promise; of models that are not here, that they are not. */
function slaLines(sla: SlaMonitor): string[] {
  return sla.status().objectives.map(({ objective, notMeasured }) => {
    const aside = notMeasured === undefined ? '' : `; not measured: ${notMeasured}`
    return `  sla          ${objective.name}: ${promiseOf(objective)}${aside}`
  })
}

function welcome(address: string, models: ModelHost, sla: SlaMonitor | undefined): string {
  const lines = models.index().map(({ name, version, state, reason }) => {
    const which = version === '' ? name : `${name} ${version}`
    return state === 'READY' ? `  ready        ${which}` : `  unavailable  ${which}: ${reason}`
  })
  const parts = [`subten listens on ${address}`, ...lines, ...(sla ? slaLines(sla) : [])]
  const example = exampleRequest(address, models.models())
  if (example) parts.push('', 'Try it:', `  ${example}`)
  parts.push('', `Draw a digit: ${address}/`)
  return parts.join('\n')
}

/** The first SIGTERM or SIGINT stops gracefully, the second ends the process at once. */
function stopOnSignal(context: Context, server: Server): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let stopping = false
    const onSignal = (signal: NodeJS.Signals): void => {
      if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143)
      stopping = true
      context.err(`${signal}: stopping; requests in flight are finished`)
      server.stop().then(resolve, reject)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

function listenError(error: NodeJS.ErrnoException, flags: ServeFlags): Error {
  if (error.code === 'EADDRINUSE') {
    return new Error(`port ${flags.httpPort} of ${flags.host} is taken; choose another with --http-port`)
  }
  if (error.code === 'EACCES') return new Error(`port ${flags.httpPort} may not be used; choose one above 1023`)
  if (error.code === 'EADDRNOTAVAIL') return new Error(`${flags.host} is not an address of this machine`)
  return error
}
