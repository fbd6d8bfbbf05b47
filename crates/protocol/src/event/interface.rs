//! The `interface!` macro: an object of named fields, read leniently and written back. Each interface is declared once;
//! reading, legacy names, unknown keys and writing follow from the declaration.

/// Declares a struct whose fields are all `Option`, with the JSON keys they are read from (the first one is written)
/// and, where the type alone does not say it, the function that reads them.
macro_rules! interface {
    (
        $(#[$meta:meta])*
        pub struct $name:ident<$a:lifetime> {
            $( $(#[$field_meta:meta])* $field:ident : $type:ty = $key:literal $(| $alias:literal)* $(via $read:path)? , )*
        }
        $( $(#[$extra_meta:meta])* pub $extra:ident : $extra_type:ty , )*
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name<$a> {
            $( $(#[$field_meta])* pub $field: Option<$type>, )*
            /// Entries under keys this interface does not name, as they came.
            pub other: $crate::json::Object<$a>,
            $( $(#[$extra_meta])* pub $extra: $extra_type, )*
        }

        impl<$a> $name<$a> {
            /// Reads the entries of an object, taking them.
            pub(in $crate::event) fn read_object(
                object: $crate::json::Object<$a>,
                reader: &mut $crate::event::reader::Reader<$a>,
            ) -> Self {
                let mut this = Self::default();
                for (key, value) in object.0 {
                    match key.as_str() {
                        $(
                            $key $(| $alias)* => {
                                let read = reader.field($key, value, interface!(@read $type $(, $read)?));
                                // A legacy name fills the field only where the field's own name did not, in either
                                // order; a value that was not read never empties it.
                                let is_legacy = key.as_str() != $key;
                                if read.is_some() && !(is_legacy && this.$field.is_some()) {
                                    this.$field = read;
                                }
                            }
                        )*
                        _ => this.other.push((key, value)),
                    }
                }
                this
            }
        }

        impl<$a> $crate::event::reader::Field<$a> for $name<$a> {
            fn read(
                value: $crate::json::Value<$a>,
                reader: &mut $crate::event::reader::Reader<$a>,
            ) -> Option<Self> {
                match value {
                    $crate::json::Value::Object(object) => Some(Self::read_object(object, reader)),
                    wrong => reader.wrong(wrong),
                }
            }

            fn into_value(self) -> $crate::json::Value<$a> {
                let mut object = $crate::json::Object::default();
                $(
                    if let Some(value) = self.$field {
                        let value = interface!(@write value $(, $read)?);
                        object.push(($crate::json::Str::from($key), value));
                    }
                )*
                object.extend(self.other.0);
                $crate::json::Value::Object(object)
            }
        }
    };
    (@read $type:ty) => { <$type as $crate::event::reader::Field<'_>>::read };
    (@read $type:ty, $read:path) => { $read };
    (@write $value:ident $(, $read:path)?) => { $crate::event::reader::Field::into_value($value) };
}

pub(super) use interface;
