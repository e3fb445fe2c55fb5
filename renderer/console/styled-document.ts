/**
 * A document for code that styles itself by `<style>` elements, under a content security policy that allows
 * none. Such an element is made with a type that the browser ignores, and its text goes into a constructed
 * style sheet of the document, which the policy allows (CSSOM, "adoptedStyleSheets").
 */

/** Not a type of style sheet, so that the browser neither applies nor reports the element. */
const INERT = 'text/x-adopted';

export interface StyledDocument {
  /** Stands for the document. */
  readonly document: Document;
  /** Takes back all its style sheets. */
  dispose(): void;
}

export function styledDocument(original: Document): StyledDocument {
  const ends: Array<() => void> = [];

  function makeStyle(): HTMLStyleElement {
    const element = original.createElement('style');
    element.type = INERT;
    const sheet = new CSSStyleSheet();
    original.adoptedStyleSheets.push(sheet);
    // Called before anything is drawn, since observers run ahead of that.
    const observer = new MutationObserver(() => sheet.replaceSync(element.textContent));
    observer.observe(element, { childList: true, characterData: true, subtree: true });
    ends.push(() => {
      observer.disconnect();
      original.adoptedStyleSheets = original.adoptedStyleSheets.filter((each) => each !== sheet);
    });
    return element;
  }

  const document = new Proxy(original, {
    get(target, key) {
      if (key === 'createElement') {
        return (name: string, options?: ElementCreationOptions) =>
          name === 'style' ? makeStyle() : target.createElement(name, options);
      }
      const value: unknown = Reflect.get(target, key, target);
      // The document's own functions must be called on the document.
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, key, value) => Reflect.set(target, key, value, target),
  });
  return {
    document,
    dispose() {
      for (const end of ends.splice(0)) end();
    },
  };
}
