package io.espalier.slim;

/**
 * Channels of a value that are one number everywhere, whatever the input.
 *
 * @param dimension along which the channels lie
 * @param numbers one for each channel; NaN for one that is not known to be one number
 */
@SuppressWarnings("ArrayRecordComponent") // Never compared.
record KnownNumbers(int dimension, float[] numbers) {
    boolean isKnown(int channel) {
        return !Float.isNaN(numbers[channel]);
    }

    boolean isZero(int channel) {
        return numbers[channel] == 0;
    }

    boolean isAny() {
        for (float number : numbers) {
            if (!Float.isNaN(number)) {
                return true;
            }
        }
        return false;
    }
}
