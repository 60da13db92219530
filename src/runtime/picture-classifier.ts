/** What classifies pictures, loaded by the first of them: nobody else pays for it. */
export function pictureClassifier(): Promise<typeof import('../image/classify.js')> {
  return import('../image/classify.js')
}
