import { SubtenError } from './errors.js'

/**
 * What classifies pictures, loaded by the first of them: nobody else pays for an image decoder, or has to install it.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM where the decoder, sharp, is not installed or does not load
 */
export function pictureClassifier(): Promise<typeof import('../image/classify.js')> {
  return withDecoder(() => import('../image/classify.js'))
}

/** Imports what needs sharp, or says what is missing. */
export async function withDecoder<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new SubtenError('UNSUPPORTED_PLATFORM', 'the image decoder, sharp, is not installed or does not load here', {
      remedy: 'Install it, with its build for this platform: `npm install --include=optional sharp`.',
      cause,
    })
  }
}
