package io.espalier.conformance;

import java.util.List;
import java.util.Optional;

/** Knows how to run the cases of one file. */
interface Group {
    /** The groups that Espalier supports. */
    List<Group> SUPPORTED = List.of(new PruneGroup(), new PruneTrainGroup(), new ObserversGroup());

    /** The file's name without its ending, such as {@code prune}. */
    String name();

    /**
     * Does what a case asks for, and compares the results with what it expects. An error that the
     * operation raises goes through: it may be what the case expects.
     *
     * @throws MalformedCase if the case asks for something this group doesn't know
     */
    void run(Case reference, Check check);

    static Optional<Group> named(String name) {
        return SUPPORTED.stream().filter(group -> group.name().equals(name)).findFirst();
    }

    /** For a group's {@code switch} over operations. */
    static MalformedCase unknown(String what, String name) {
        return new MalformedCase("the " + what + " '" + name + "' is not known");
    }
}
