package io.espalier.nn;

import io.espalier.state.SafeTensors;
import io.espalier.tensor.EspalierException;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.stream.Collectors;

/** Why a state does not fit a model, as one sentence. */
final class StateProblems {
    /** So many entries of one kind an error names. */
    private static final int NAMED = 5;

    private final List<String> kinds = new ArrayList<>();

    void add(String kind, Collection<String> names) {
        if (!names.isEmpty()) {
            int more = names.size() - NAMED;
            kinds.add(
                    names.stream()
                            .limit(NAMED)
                            .map(SafeTensors::printable)
                            .collect(
                                    Collectors.joining(
                                            ", ",
                                            kind + ": ",
                                            more > 0 ? " and " + more + " more" : "")));
        }
    }

    /**
     * Refuses what has a problem.
     *
     * @param what the state
     * @param hints what would help, each beginning with a semicolon, or empty
     */
    void require(String what, Module model, String... hints) {
        if (!kinds.isEmpty()) {
            throw new EspalierException(
                    what
                            + " does not fit "
                            + model.typeName()
                            + ", which is left as it was: "
                            + String.join("; ", kinds)
                            + String.join("", hints)
                            + ".");
        }
    }
}
