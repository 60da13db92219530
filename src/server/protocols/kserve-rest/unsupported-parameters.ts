import { SubtenError } from '../../../runtime/errors.js'

const REMEDIES: Readonly<Record<string, string>> = {
  shared_memory_region: 'Send the tensor in the body, as binary data.',
  sequence_id: 'Keep the state of the sequence in the client, and send it as a tensor.',
  classification: 'Send a picture to /v1/classify/{model}, or rank the output in the client.',
}

/** Parameters whose neglect would change the answer are refused; others that are not known are passed over. */
export function refuseUnsupported(parameters: Readonly<Record<string, unknown>>, owner: string): void {
  for (const [name, remedy] of Object.entries(REMEDIES)) {
    const value = parameters[name]
    // 0 and "" mean "none" for each of these.
    if (value === undefined || value === 0 || value === '') continue
    throw new SubtenError('NOT_SUPPORTED', `parameter '${name}' of ${owner} is not supported`, { remedy })
  }
}
