// SPDX-License-Identifier: MIT
#pragma once

#include <string_view>
#include <type_traits>

namespace siding::detail {

/// Why a type cannot cross to another process. The names stand in the compiler's diagnostics.
enum class Refusal {
  none,
  a_pointer,
  a_pointer_to_a_data_member,
  a_pointer_to_an_array,
  a_pointer_to_a_polymorphic_class,
  a_pointer_with_a_deleter,
  a_reference,
  a_reference_wrapper,
  a_shared_ptr,
  a_string_view_that_is_no_argument,
  a_span,
  a_std_function,
  a_closure_with_captures,
  a_union,
  a_polymorphic_class_without_siding_fields,
  a_class_without_siding_fields,
  an_aggregate_with_a_base_class,
  an_aggregate_of_more_than_64_fields,
  an_aggregate_that_cannot_be_made_empty,
  an_aggregate_with_a_field_that_cannot_be_assigned,
  a_class_with_siding_fields_but_no_default_constructor,
  an_array_of_a_class_without_default_constructor,
  a_container_with_a_stateful_comparator_or_hash,
  a_bare_array,
  not_a_type_of_values,
};

/// The same in words: "cannot cross to another process: it is or holds <text>".
constexpr std::string_view refusal_text(Refusal because) {
  switch (because) {
    case Refusal::none:
      return "";
    case Refusal::a_pointer:
      return "a pointer, which means nothing in another process";
    case Refusal::a_pointer_to_a_data_member:
      return "a pointer to a data member";
    case Refusal::a_pointer_to_an_array:
      return "a unique_ptr to an array of unknown size; use a vector";
    case Refusal::a_pointer_to_a_polymorphic_class:
      return "a unique_ptr to a polymorphic class, of which only the base would cross";
    case Refusal::a_pointer_with_a_deleter:
      return "a unique_ptr with a deleter of its own";
    case Refusal::a_reference:
      return "a reference";
    case Refusal::a_reference_wrapper:
      return "a reference_wrapper";
    case Refusal::a_shared_ptr:
      return "a shared_ptr or weak_ptr, which cannot be shared between processes";
    case Refusal::a_string_view_that_is_no_argument:
      return "a string_view or const char* that is not itself an argument; use a string";
    case Refusal::a_span:
      return "a span; use a vector";
    case Refusal::a_std_function:
      return "a std::function; use a function, a lambda without captures or an aggregate functor";
    case Refusal::a_closure_with_captures:
      return "a closure with captures; use arguments or an aggregate functor";
    case Refusal::a_union:
      return "a union; use a variant";
    case Refusal::a_polymorphic_class_without_siding_fields:
      return "a polymorphic class without siding_fields";
    case Refusal::a_class_without_siding_fields:
      return "a class without siding_fields";
    case Refusal::an_aggregate_with_a_base_class:
      return "an aggregate with a base class and without siding_fields";
    case Refusal::an_aggregate_of_more_than_64_fields:
      return "an aggregate of more than 64 fields and without siding_fields";
    case Refusal::an_aggregate_that_cannot_be_made_empty:
      return "an aggregate with a field that {} cannot make, and without siding_fields";
    case Refusal::an_aggregate_with_a_field_that_cannot_be_assigned:
      return "an aggregate with a field that cannot be assigned, and without siding_fields";
    case Refusal::a_class_with_siding_fields_but_no_default_constructor:
      return "a class with siding_fields but without a default constructor; specialise "
             "siding::Wire";
    case Refusal::an_array_of_a_class_without_default_constructor:
      return "an array of a class without a default constructor";
    case Refusal::a_container_with_a_stateful_comparator_or_hash:
      return "a container whose comparator or hash function has a state";
    case Refusal::a_bare_array:
      return "an array by itself; use std::array";
    case Refusal::not_a_type_of_values:
      return "a type that has no values";
  }
  return "";
}

template <class... T>
struct TypeList {};

/// A part of a type and what is wrong with it.
template <class Part, Refusal reason>
struct Verdict {
  using part = Part;
  static constexpr Refusal because = reason;
};

/// A heuristic for the text only: closure types have no trait.
template <class T>
consteval bool looks_like_closure() {
  const std::string_view name = __PRETTY_FUNCTION__;
  return std::is_class_v<T> && (name.find("<lambda") != std::string_view::npos ||
                                name.find("(lambda at") != std::string_view::npos);
}

}  // namespace siding::detail
