/**
 * Styles for code that brings its own in `<style>` elements and `style` attributes, under a content security policy
 * that allows none. Both are done by the CSSOM instead, which the policy allows: the element is replaced by one that
 * means nothing to the browser, whose text goes into a style sheet that the document adopts ("adoptedStyleSheets"),
 * and the attribute is set as the element's style ("cssText").
 */

const { setAttribute } = Element.prototype;

/** Has `style` attributes set by the CSSOM from now on, in the whole document. */
export function allowStyleAttributes(): void {
  Element.prototype.setAttribute = function (name, value) {
    if (name === 'style' && this instanceof HTMLElement) this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };
}

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
