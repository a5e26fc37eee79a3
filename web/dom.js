// Elements from values: `h` describes one, `morph` makes a part of the page equal to such a description.
//
// Text is only ever set as text, so no name of an order or account can become markup. `morph` keeps the
// elements that stay, and with them the focus, the selection and how far a table is scrolled.

const SVG = 'http://www.w3.org/2000/svg';

// h('td', { class: 'num' }, 'text', child, [children], null): null, undefined and false are left out.
export function h(tag, attributes = {}, ...children) {
  return { tag, attributes, children: children.flat(Infinity).filter((child) => child != null && child !== false) };
}

// A name that somebody else chose: its direction does not spill over to the text around it.
export function name(text, attributes = {}) {
  return h('bdi', { class: 'name', ...attributes }, String(text));
}

function isText(child) {
  return typeof child !== 'object';
}

function create(child, inSvg) {
  if (isText(child)) return document.createTextNode(String(child));
  const svg = inSvg || child.tag === 'svg';
  const element = svg ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag);
  adapt(element, child, svg);
  return element;
}

function fits(node, child) {
  if (isText(child)) return node.nodeType === Node.TEXT_NODE;
  return node.nodeType === Node.ELEMENT_NODE
    && node.localName === child.tag
    && (node.getAttribute('data-key') ?? '') === String(child.attributes['data-key'] ?? '');
}

function adapt(element, child, svg) {
  for (const [key, value] of Object.entries(child.attributes)) {
    const text = value === true ? '' : value;
    if (text == null || text === false) element.removeAttribute(key);
    else if (element.getAttribute(key) !== String(text)) element.setAttribute(key, String(text));
  }
  for (const { name: key } of [...element.attributes]) {
    // Whether a reader opened a section is theirs.
    if (!(key in child.attributes) && key !== 'open') element.removeAttribute(key);
  }
  // What a reader types is theirs.
  if (element.localName !== 'input') morph(element, child.children, svg);
}

// Makes the children of an element equal to the description.
export function morph(parent, children, inSvg = parent.namespaceURI === SVG) {
  let node = parent.firstChild;
  for (const child of children.flat(Infinity)) {
    if (child == null || child === false) continue;
    let found = node;
    // A few steps ahead: a row that went away must not rewrite all rows after it.
    for (let steps = 0; found && !fits(found, child) && steps < 40; steps += 1) found = found.nextSibling;
    if (found && fits(found, child)) {
      while (node !== found) {
        const gone = node;
        node = node.nextSibling;
        gone.remove();
      }
      node = found.nextSibling;
      if (isText(child)) {
        if (found.data !== String(child)) found.data = String(child);
      } else {
        adapt(found, child, inSvg || child.tag === 'svg');
      }
    } else {
      parent.insertBefore(create(child, inSvg), node);
    }
  }
  while (node) {
    const gone = node;
    node = node.nextSibling;
    gone.remove();
  }
}
