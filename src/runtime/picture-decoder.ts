import { SubtenError } from './errors.js'

/** What classifies pictures, loaded by the first of them: nobody else pays for it. */
export function pictureClassifier(): Promise<typeof import('../image/classify.js')> {
  return import('../image/classify.js')
}

/**
 * Imports what needs sharp, which who sends plain JPEGs only does not have to install.
 *
 * @throws SubtenError UNSUPPORTED_PLATFORM where sharp is not installed or does not load
 */
export async function withDecoder<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    throw new SubtenError(
      'UNSUPPORTED_PLATFORM',
      'this picture needs the image decoder sharp, which is not installed or does not load here',
      {
        remedy: 'Install it, with its build for this platform: `npm install --include=optional sharp`.',
        cause,
      },
    )
  }
}
