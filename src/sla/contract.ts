import { SubtenError } from '../runtime/errors.js'
import type { Contract } from './types.js'

export async function readContract(_path: string): Promise<Contract> {
  throw new SubtenError('NOT_SUPPORTED', 'contracts are not part of this build')
}
