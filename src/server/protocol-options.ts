import type { ServerLimits } from './limits.js'
import type { ModelHost } from './model-host.js'

/** What every protocol plugin gets. */
export interface ProtocolOptions {
  readonly models: ModelHost
  readonly limits: ServerLimits
  /** False once `stop()` was called. */
  readonly accepting: () => boolean
}
