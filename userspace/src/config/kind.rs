//! What the value of a key must look like.
//!
//! A [`Scalar`] judges one value; a [`Kind`] is a scalar or a list of them.
//! Each describes itself in words that fit after "write", so that the reference
//! and the hint in an error say the same.

use std::fmt::Display;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use toml_edit::{Array, Value};

use super::error::InvalidValue;
use super::nearest::{excerpt, nearest};
use super::quantity::{duration_text, parse_duration, parse_size, size_text};

/// A value, or several faults in it.
pub(super) trait Kind {
    type Value;

    fn describe(&self) -> String;
    fn read(&self, value: &Value) -> Result<Self::Value, Vec<Fault>>;
    fn write(&self, value: &Self::Value) -> Value;
    fn choices(&self) -> Vec<Choice>;
}

/// One value, and at most one fault in it.
pub(super) trait Scalar {
    type Value;

    fn describe(&self) -> String;
    fn parse(&self, value: &Value) -> Result<Self::Value, InvalidValue>;
    fn write(&self, value: &Self::Value) -> Value;

    fn choices(&self) -> Vec<Choice> {
        Vec::new()
    }
}

/// A fault at an offset into the file.
#[derive(Debug)]
pub(super) struct Fault {
    /// The index in a list.
    pub(super) element: Option<usize>,
    pub(super) at: usize,
    pub(super) invalid: InvalidValue,
}

impl Fault {
    /// The path of what is faulty, given that of the key.
    pub(super) fn path(&self, key: &str) -> String {
        match self.element {
            Some(index) => format!("{key}[{index}]"),
            None => key.to_owned(),
        }
    }
}

/// One of the words that a key accepts.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) meaning: String,
}

/// An integer within bounds.
pub(super) fn integer<T>(range: RangeInclusive<T>) -> Integer<T> {
    Integer(range)
}

/// A size in bytes within bounds.
pub(super) fn size(range: RangeInclusive<u64>) -> Size {
    Size(range)
}

/// A duration within bounds.
pub(super) fn duration(range: RangeInclusive<Duration>) -> Interval {
    Interval(range)
}

/// One of the words of an enum.
pub(super) fn one_of<T: ValueEnum>() -> OneOf<T> {
    OneOf(PhantomData)
}

/// A string with a syntax of its own.
pub(super) fn text<T>(what: &'static str, parse: fn(&str) -> Result<T, InvalidValue>) -> Text<T> {
    Text { what, parse }
}

/// A number that is a power of two.
pub(super) fn power_of_two<S>(inner: S) -> PowerOfTwo<S> {
    PowerOfTwo(inner)
}

/// A number, or `"auto"` (or 0) for one that is chosen at run time.
pub(super) fn auto<S>(inner: S) -> Auto<S> {
    Auto(inner)
}

/// A list of different values.
pub(super) fn list<S>(length: RangeInclusive<usize>, element: S) -> List<S> {
    List { length, element }
}

/// A boolean.
pub(super) struct Flag;
pub(super) struct Integer<T>(RangeInclusive<T>);
pub(super) struct Size(RangeInclusive<u64>);
pub(super) struct Interval(RangeInclusive<Duration>);
pub(super) struct OneOf<T>(PhantomData<T>);
pub(super) struct PowerOfTwo<S>(S);
pub(super) struct Auto<S>(S);
pub(super) struct Text<T> {
    what: &'static str,
    parse: fn(&str) -> Result<T, InvalidValue>,
}
pub(super) struct List<S> {
    length: RangeInclusive<usize>,
    element: S,
}

impl Scalar for Flag {
    type Value = bool;

    fn describe(&self) -> String {
        "`true` or `false`".to_owned()
    }

    fn parse(&self, value: &Value) -> Result<bool, InvalidValue> {
        value.as_bool().ok_or_else(|| unfit(self, value))
    }

    fn write(&self, value: &bool) -> Value {
        (*value).into()
    }
}

impl<T: Copy + Display + PartialOrd + TryFrom<i64> + TryInto<i64>> Scalar for Integer<T> {
    type Value = T;

    fn describe(&self) -> String {
        format!("an integer from {} to {}", self.0.start(), self.0.end())
    }

    fn parse(&self, value: &Value) -> Result<T, InvalidValue> {
        let number = value.as_integer().and_then(|i| T::try_from(i).ok());
        number
            .filter(|number| self.0.contains(number))
            .ok_or_else(|| unfit(self, value))
    }

    fn write(&self, value: &T) -> Value {
        (*value).try_into().unwrap_or(i64::MAX).into()
    }
}

impl Scalar for Size {
    type Value = u64;

    fn describe(&self) -> String {
        let (least, most) = (size_text(*self.0.start()), size_text(*self.0.end()));
        format!("a size from \"{least}\" to \"{most}\" (in KiB, MiB, or a number of bytes)")
    }

    fn parse(&self, value: &Value) -> Result<u64, InvalidValue> {
        let bytes = match value.as_integer() {
            Some(bytes) => u64::try_from(bytes).ok(),
            None => value.as_str().and_then(parse_size),
        };
        bytes
            .filter(|bytes| self.0.contains(bytes))
            .ok_or_else(|| unfit(self, value))
    }

    fn write(&self, value: &u64) -> Value {
        size_text(*value).into()
    }
}

impl Scalar for Interval {
    type Value = Duration;

    fn describe(&self) -> String {
        let (least, most) = (duration_text(*self.0.start()), duration_text(*self.0.end()));
        format!("a duration from \"{least}\" to \"{most}\" (in us, ms or s)")
    }

    fn parse(&self, value: &Value) -> Result<Duration, InvalidValue> {
        let duration = value.as_str().and_then(parse_duration);
        duration
            .filter(|duration| self.0.contains(duration))
            .ok_or_else(|| unfit(self, value))
    }

    fn write(&self, value: &Duration) -> Value {
        duration_text(*value).into()
    }
}

impl<T: ValueEnum + 'static> OneOf<T> {
    fn words() -> impl Iterator<Item = PossibleValue> {
        T::value_variants().iter().filter_map(T::to_possible_value)
    }
}

impl<T: ValueEnum + 'static> Scalar for OneOf<T> {
    type Value = T;

    fn describe(&self) -> String {
        let quoted: Vec<_> = Self::words()
            .map(|word| format!("\"{}\"", word.get_name()))
            .collect();
        format!("one of {}", quoted.join(", "))
    }

    fn parse(&self, value: &Value) -> Result<T, InvalidValue> {
        let word = value.as_str().unwrap_or_default();
        T::from_str(word, false).map_err(|_| {
            let words: Vec<_> = Self::words().collect();
            let mut invalid = unfit(self, value);
            if let Some(name) = nearest(word, words.iter().map(PossibleValue::get_name)) {
                invalid.hint = format!("did you mean \"{name}\"?");
            }
            invalid
        })
    }

    fn write(&self, value: &T) -> Value {
        let word = value.to_possible_value();
        word.map(|word| word.get_name().to_owned())
            .unwrap_or_default()
            .into()
    }

    fn choices(&self) -> Vec<Choice> {
        Self::words()
            .map(|word| Choice {
                name: word.get_name().to_owned(),
                meaning: word.get_help().map(|h| h.to_string()).unwrap_or_default(),
            })
            .collect()
    }
}

impl<T: Display> Scalar for Text<T> {
    type Value = T;

    fn describe(&self) -> String {
        format!("{}, in quotes", self.what)
    }

    fn parse(&self, value: &Value) -> Result<T, InvalidValue> {
        let text = value.as_str().ok_or_else(|| unfit(self, value))?;
        (self.parse)(text).map_err(|invalid| InvalidValue {
            message: format!("is {}, which {}", excerpt(text), invalid.message),
            hint: invalid.hint,
        })
    }

    fn write(&self, value: &T) -> Value {
        value.to_string().into()
    }
}

impl<S: Scalar<Value: Copy + Into<u64>>> Scalar for PowerOfTwo<S> {
    type Value = S::Value;

    fn describe(&self) -> String {
        format!("a power of two: {}", self.0.describe())
    }

    fn parse(&self, value: &Value) -> Result<S::Value, InvalidValue> {
        let parsed = self.0.parse(value).map_err(|_| unfit(self, value))?;
        let number: u64 = parsed.into();
        if number.is_power_of_two() {
            Ok(parsed)
        } else {
            Err(unfit(self, value))
        }
    }

    fn write(&self, value: &S::Value) -> Value {
        self.0.write(value)
    }
}

impl<S: Scalar> Scalar for Auto<S> {
    type Value = Option<S::Value>;

    fn describe(&self) -> String {
        format!("\"auto\" (or 0), or {}", self.0.describe())
    }

    fn parse(&self, value: &Value) -> Result<Option<S::Value>, InvalidValue> {
        if value.as_str() == Some("auto") || value.as_integer() == Some(0) {
            return Ok(None);
        }
        let inner = self.0.parse(value).map(Some);
        inner.map_err(|_| unfit(self, value))
    }

    fn write(&self, value: &Option<S::Value>) -> Value {
        match value {
            Some(value) => self.0.write(value),
            None => "auto".into(),
        }
    }
}

impl<S: Scalar> Kind for S {
    type Value = S::Value;

    fn describe(&self) -> String {
        Scalar::describe(self)
    }

    fn read(&self, value: &Value) -> Result<S::Value, Vec<Fault>> {
        self.parse(value).map_err(|invalid| {
            vec![Fault {
                element: None,
                at: position(value),
                invalid,
            }]
        })
    }

    fn write(&self, value: &S::Value) -> Value {
        Scalar::write(self, value)
    }

    fn choices(&self) -> Vec<Choice> {
        Scalar::choices(self)
    }
}

impl<S: Scalar<Value: PartialEq>> Kind for List<S> {
    type Value = Vec<S::Value>;

    fn describe(&self) -> String {
        let (least, most) = (self.length.start(), self.length.end());
        let element = self.element.describe();
        match least {
            0 => format!("a list of up to {most} values, each {element}"),
            _ => format!("a list of {least} to {most} values, each {element}"),
        }
    }

    fn read(&self, value: &Value) -> Result<Self::Value, Vec<Fault>> {
        let whole = |invalid| {
            vec![Fault {
                element: None,
                at: position(value),
                invalid,
            }]
        };
        let hint = format!("write {}", self.describe());
        let Some(array) = value.as_array() else {
            let message = format!("is {}", shown(value));
            return Err(whole(InvalidValue { message, hint }));
        };
        if !self.length.contains(&array.len()) {
            let message = format!("has {} values", array.len());
            return Err(whole(InvalidValue { message, hint }));
        }
        self.read_elements(array)
    }

    fn write(&self, values: &Self::Value) -> Value {
        let array: Array = values.iter().map(|v| self.element.write(v)).collect();
        array.into()
    }

    fn choices(&self) -> Vec<Choice> {
        self.element.choices()
    }
}

impl<S: Scalar<Value: PartialEq>> List<S> {
    fn read_elements(&self, array: &Array) -> Result<Vec<S::Value>, Vec<Fault>> {
        let mut values = Vec::new();
        let mut faults = Vec::new();
        for (index, value) in array.iter().enumerate() {
            match self.read_element(value, &values) {
                Ok(element) => values.push(element),
                Err(invalid) => faults.push(Fault {
                    element: Some(index),
                    at: position(value),
                    invalid,
                }),
            }
        }
        if faults.is_empty() {
            Ok(values)
        } else {
            Err(faults)
        }
    }

    fn read_element(&self, value: &Value, earlier: &[S::Value]) -> Result<S::Value, InvalidValue> {
        let element = self.element.parse(value)?;
        if earlier.contains(&element) {
            return Err(InvalidValue {
                message: format!("is {} once more", shown(value)),
                hint: "name each value once".to_owned(),
            });
        }
        Ok(element)
    }
}

/// A type of TOML, with its article.
pub(super) fn type_phrase(type_name: &str) -> String {
    match type_name {
        "array" => "a list".to_owned(),
        "inline table" => "a table".to_owned(),
        "integer" => "an integer".to_owned(),
        "array of tables" => "an array of tables".to_owned(),
        other => format!("a {other}"),
    }
}

fn unfit(scalar: &impl Scalar, value: &Value) -> InvalidValue {
    InvalidValue {
        message: format!("is {}", shown(value)),
        hint: format!("write {}", scalar.describe()),
    }
}

/// The value where it is short, else its type.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => excerpt(text.value()),
        Value::Integer(number) => number.value().to_string(),
        Value::Boolean(flag) => flag.value().to_string(),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => {
            type_phrase(value.type_name())
        }
    }
}

fn position(value: &Value) -> usize {
    value.span().map_or(0, |span| span.start)
}
