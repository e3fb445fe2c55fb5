/**
 * Styles for code that brings its own in `<style>` elements, under a content security policy that allows none.
 * Such an element is replaced by one that means nothing to the browser, whose text goes into a style sheet that
 * the document adopts, which the policy allows (CSSOM, "adoptedStyleSheets").
 */

/**
 * Runs code that makes its `<style>` elements there and then; what it writes into them later counts as well.
 *
 * @returns takes back all of their style sheets
 */
export function withAdoptedStyles(run: () => void): () => void {
  const ends: Array<() => void> = [];
  const makeElement = document.createElement.bind(document);

  function makeStyle(): HTMLElement {
    const element = makeElement('data');
    element.hidden = true;
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    // Called before anything is drawn, since observers run ahead of that.
    const observer = new MutationObserver(() => sheet.replaceSync(element.textContent));
    observer.observe(element, { childList: true, characterData: true, subtree: true });
    ends.push(() => {
      observer.disconnect();
      document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== sheet);
    });
    return element;
  }

  // Over the prototype's own for as long as this runs.
  Object.defineProperty(document, 'createElement', {
    configurable: true,
    value: (name: string, options?: ElementCreationOptions) =>
      name === 'style' ? makeStyle() : makeElement(name, options),
  });
  try {
    run();
  } finally {
    Reflect.deleteProperty(document, 'createElement');
  }
  return () => {
    for (const end of ends.splice(0)) end();
  };
}
