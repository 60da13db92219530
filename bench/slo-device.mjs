// The same as slo.mjs for an engine that computes elsewhere, as on a GPU: the processors are then free for the load
// generator and the event loop.
import { DEVICE, measureEngines } from './slo.mjs'

export default () => measureEngines([DEVICE])
