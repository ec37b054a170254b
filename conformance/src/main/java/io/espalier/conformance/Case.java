package io.espalier.conformance;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * One reference case: an operation, what it is given, and what PyTorch answered.
 *
 * @param id the case's name, such as {@code prune-003}
 * @param op what is done, such as {@code l1_unstructured}
 * @param params the operation's arguments
 * @param inputs the tensors it works on
 * @param expect the results; empty where an error is expected
 * @param error the error that PyTorch raised
 */
record Case(
        String id, String op, Values params, Values inputs, Values expect, Optional<Fault> error) {

    /** Names of values that no one looked at: a group that ignores them doesn't know the case. */
    List<String> unread() {
        return Stream.of(params, inputs, expect)
                .flatMap(values -> values.unread().stream())
                .toList();
    }
}
