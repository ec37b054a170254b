package io.espalier.conformance;

/** Knows how to run the cases of one file. */
interface Group {
    /** The file's name without its ending, such as {@code prune}. */
    String name();

    /**
     * Does what a case asks for, and compares the results with what it expects. An error that the
     * operation raises goes through: it may be what the case expects.
     *
     * @throws MalformedCase if the case asks for something this group doesn't know
     */
    void run(Case reference, Check check);

    /** For a group's {@code switch} over operations. */
    static MalformedCase unknown(String what, String name) {
        return new MalformedCase("the " + what + " '" + name + "' is not known");
    }
}
