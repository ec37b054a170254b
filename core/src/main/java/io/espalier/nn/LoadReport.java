package io.espalier.nn;

import java.util.List;

/**
 * In what a state differed from the model that it was loaded into; both lists are empty unless
 * {@link LoadOptions#strict(boolean)} allows it.
 *
 * @param missing the names of the model's entries that the state lacks, which stayed as they were
 * @param unexpected the names of the state's entries that the model lacks, as the state has them
 */
public record LoadReport(List<String> missing, List<String> unexpected) {
    /** Copies. */
    public LoadReport {
        missing = List.copyOf(missing);
        unexpected = List.copyOf(unexpected);
    }
}
