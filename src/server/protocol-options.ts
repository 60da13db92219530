import type { SlaMonitor } from '../sla/monitor.js'
import type { FailureLog } from './failure-log.js'
import type { ServerLimits } from './limits.js'
import type { ModelHost } from './model-host.js'

/** What every protocol plugin gets. */
export interface ProtocolOptions {
  readonly models: ModelHost
  readonly limits: ServerLimits
  /** False once `stop()` was called. */
  readonly accepting: () => boolean
  /** Where failures of the server are logged. */
  readonly failures: FailureLog
  /** What measures the models against a contract, where the server has one. */
  readonly sla?: SlaMonitor | undefined
}
