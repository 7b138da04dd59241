// Form fields generated from the schema.

import { useId } from "preact/hooks";
import { short } from "../lib/format";
import { type ChoiceField, type Field, initialText, type Leaf } from "../lib/schema";

export interface Form {
  /** Values by pointer; missing ones have their defaults. */
  texts: ReadonlyMap<string, string>;
  set: (pointer: string, text: string) => void;
  /** Error messages by pointer. */
  problems: ReadonlyMap<string, string>;
  /** Additional choices by pointer: models for `init`, devices for `device`. */
  suggestions: ReadonlyMap<string, { value: string; label: string }[]>;
}

export function FieldView({ field, form }: { field: Field; form: Form }) {
  if (field.kind === "group") {
    return (
      <fieldset class="group">
        <legend>{field.label}</legend>
        {field.help && <p class="muted small">{field.help}</p>}
        <div class="fields">
          {field.fields.map((inner) => (
            <FieldView key={inner.pointer} field={inner} form={form} />
          ))}
        </div>
      </fieldset>
    );
  }
  return <LeafView field={field} form={form} />;
}

function LeafView({ field, form }: { field: Leaf; form: Form }) {
  const id = useId();
  const text = form.texts.get(field.pointer) ?? initialText(field);
  const problem = form.problems.get(field.pointer);
  const touched = text !== initialText(field);
  const described = { "aria-describedby": `${id}-help`, "aria-invalid": problem !== undefined };
  const set = (text: string) => form.set(field.pointer, text);
  return (
    <div class={`field ${touched ? "touched" : ""}`} data-pointer={field.pointer}>
      <div class="row between">
        <label for={id}>{field.label}</label>
        {touched && (
          <button type="button" class="link-button" onClick={() => set(initialText(field))}>
            default: {initialText(field) || "none"}
          </button>
        )}
      </div>
      <Input id={id} field={field} form={form} text={text} set={set} described={described} />
      {problem && (
        <p class="error-text" role="alert">
          {problem}
        </p>
      )}
      <p id={`${id}-help`} class="muted small help">
        {field.help} {limits(field)}
      </p>
    </div>
  );
}

interface InputProps {
  id: string;
  field: Leaf;
  form: Form;
  text: string;
  set: (text: string) => void;
  described: { "aria-describedby": string; "aria-invalid": boolean };
}

function Input({ id, field, form, text, set, described }: InputProps) {
  const more = form.suggestions.get(field.pointer) ?? [];
  if (field.kind === "switch") {
    const checked = text === "true";
    return (
      <label class="switch">
        <input
          id={id}
          type="checkbox"
          checked={checked}
          onChange={(event) => set(String(event.currentTarget.checked))}
          {...described}
        />
        <span>{checked ? "On" : "Off"}</span>
      </label>
    );
  }
  if (field.kind === "choice" || more.length) {
    return (
      <select
        id={id}
        value={text}
        onChange={(event) => set(event.currentTarget.value)}
        {...described}
      >
        {options(field, more, text).map(({ value, label }) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      id={id}
      type="text"
      inputMode={field.kind === "number" ? (field.integer ? "numeric" : "decimal") : "text"}
      autocomplete="off"
      value={text}
      onInput={(event) => set(event.currentTarget.value)}
      {...described}
    />
  );
}

/** The schema's choices, then additional ones, then the current value if it is neither. */
function options(field: Leaf, more: { value: string; label: string }[], text: string) {
  const own = field.kind === "choice" ? (field as ChoiceField).choices : [];
  const known = [
    ...own.map(({ value, help }) => ({ value: String(value), label: label(value, help) })),
    ...more,
  ];
  if (!known.some(({ value }) => value === text)) known.push({ value: text, label: text });
  return known;
}

/** `constant – stays at the peak` */
function label(value: unknown, help: string): string {
  const brief = help.replaceAll("`", "").replace(/\.$/, "");
  if (!brief) return String(value);
  const ownName = /^\S*[A-Z]\S*[A-Z]/.test(brief); // Such as `MediaPipe's`
  return `${value} – ${ownName ? brief : brief.charAt(0).toLowerCase() + brief.slice(1)}`;
}

function limits(field: Leaf): string {
  if (field.kind !== "number") return "";
  const { minimum, maximum } = field;
  const large = maximum !== undefined && maximum > 1e9;
  if (minimum !== undefined && maximum !== undefined && !large)
    return `${short(minimum)} to ${short(maximum)}.`;
  return "";
}
